#!/usr/bin/env node
// Starts the command line that was built to dist.

import '../dist/main.js'

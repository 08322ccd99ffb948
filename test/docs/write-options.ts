// Writes the table of options into its page.

import { writeFileSync } from 'node:fs'
import { optionsPage, renewOptionsPage } from './options-table.js'
import { top } from './pages.js'

writeFileSync(new URL(optionsPage, top), renewOptionsPage())

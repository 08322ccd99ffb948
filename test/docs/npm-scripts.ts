// Which npm scripts a piece of shell runs.

/** The npm scripts that shell commands run, each with the workspace that has it. */
export function npmScriptsIn(code: string): { script: string; workspace: string }[] {
  return code.split(/#.*|[\n;&|]/).flatMap(command => {
    const script = /\bnpm\b.*?\s(?:run(?:-script)? ([\w:-]+)|(test|start)\b)/.exec(command)
    if (script === null) return []
    const workspace = /(?:-w|--workspace)[ =](\S+)/.exec(command)?.[1] ?? '.'
    return [{ script: script[1] ?? script[2] ?? '', workspace }]
  })
}

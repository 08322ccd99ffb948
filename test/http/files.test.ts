// Files: sendFile with conditions and ranges of the first client and of duplicates.

import { mkdtempSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Response } from 'express'
import { type Behaviour, describeBehaviours, expressSurfaces } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

const file = join(mkdtempSync(join(tmpdir(), 'dspinlock-files-')), 'file.txt')
writeFileSync(file, 'a line of the file\n'.repeat(8_000))
const modified = new Date('2024-05-01T12:00:00Z')
utimesSync(file, modified, modified)

const sendFile: Behaviour['answer'] = ({ res, note }) =>
  new Promise<void>(resolve => {
    ;(res as Response).sendFile(file, { cacheControl: false, headers: { 'X-Sent': 'yes' } }, error => {
      note(`late sent ${String(error)}`)
      resolve()
    })
  })

const files: readonly Behaviour[] = [
  { what: '`sendFile`', answer: sendFile },
  { what: '`sendFile`, to HEAD', method: 'HEAD', answer: sendFile, duplicate: 'runs' },
  ...['bytes=0-9', 'bytes=-5', 'bytes=5-', 'bytes=0-1,3-4', 'bytes=999999-'].map(
    (range): Behaviour => ({
      what: `a request for a range: \`${range}\``,
      headers: [`Range: ${range}`],
      answer: ({ res, note }) =>
        new Promise<void>(resolve => {
          ;(res as Response).sendFile(file, error => {
            note(`late sent ${error === undefined ? 'well' : error.message}`)
            if (error !== undefined && !res.headersSent) res.end('no such range')
            resolve()
          })
        }),
      duplicate: 'runs',
    }),
  ),
  {
    what: '`If-Range` with a range',
    headers: ['Range: bytes=0-3', 'If-Range: "other"'],
    answer: sendFile,
    duplicate: 'runs',
  },
  {
    what: '`download`: Content-Disposition with a name outside ASCII',
    answer: ({ res }) =>
      new Promise<void>((resolve, reject) => {
        ;(res as Response).download(file, 'Größe.txt', { cacheControl: false }, error =>
          error ? reject(error) : resolve(),
        )
      }),
  },
  {
    what: '`sendFile` of a file that is not there, then 404',
    answer: ({ res, note }) =>
      new Promise<void>(resolve => {
        ;(res as Response).sendFile(`${file}.missing`, error => {
          note(`late sent ${String(error !== undefined)}`)
          ;(res as Response).status(404).send('not there')
          resolve()
        })
      }),
  },
  {
    what: '`If-Match` that fails: 412',
    headers: ['If-Match: "other"'],
    answer: ({ res, note }) =>
      new Promise<void>(resolve => {
        ;(res as Response).sendFile(file, error => {
          note(`late sent ${String(error?.message)}`)
          ;(res as Response).status(412).send('precondition failed')
          resolve()
        })
      }),
  },
]

describe('files', () => {
  describeBehaviours(openTopic('Files', 'files.test.ts'), expressSurfaces, files)
})

// Counts what run.sh got: how many of the suite's required and optional cases passed, and which did not.
//
//   node score.mjs CHECKOUT RESULTS OPTIMAL [--checks]

import fs from 'fs'
import path from 'path'
import process from 'process'
import { pathToFileURL } from 'url'

// Cases that cannot be passed: what the RFC says of them. docs/conformance.md tells more.
const AGAINST_THE_RFC = {
  'conditional-lm-fresh-no-lm': 'wants a 304 where RFC 9111 §4.3.2 compares with a Date that is newer'
}

const [checkout, resultsFile, optimal, ...options] = process.argv.slice(2)
const suites = (await import(pathToFileURL(path.join(checkout, 'tests/index.mjs')).href)).default
const results = JSON.parse(fs.readFileSync(resultsFile, 'utf8'))
const cases = suites.flatMap(suite => suite.tests)
  .filter(test => !test.browser_only)
  .map(test => ({ id: test.id, kind: test.kind || 'required', result: results[test.id] }))

const passed = test => test.result === true
const because = test => Array.isArray(test.result) ? test.result.join(': ') : 'no result'

function print (kind) {
  const all = cases.filter(test => test.kind === kind)
  const good = all.filter(passed)
  for (const test of all.filter(test => !passed(test))) {
    const excuse = AGAINST_THE_RFC[test.id]
    console.log(`failed  ${kind}  ${test.id}: ${because(test)}${excuse ? ` (${excuse})` : ''}`)
  }
  return { kind, good: good.length, all: all.length }
}

if (options.includes('--checks')) {
  for (const test of cases.filter(test => test.kind === 'check')) {
    console.log(`check  ${test.id}: ${passed(test) ? 'yes' : `no (${because(test)})`}`)
  }
}
const required = print('required')
const optional = print('optimal')
for (const { kind, good, all } of [required, optional]) console.log(`${kind}: ${good} of ${all}`)
process.exitCode = required.good === required.all && optional.good >= Number(optimal) ? 0 : 1

/**
 * A report as one HTML file: no script, no address outside of it, light and dark, fit to print. Everything that comes
 * from elsewhere is escaped; what the file says is signed in its last line, over every byte before it.
 */

import { keyIdOf, type SigningKey, sha256Hex, verifySignature } from '../io/signing.ts'
import { chart } from './chart.ts'
import type { DrillReport } from './report.ts'
import { STYLE } from './style.ts'
import { durationText } from './words.ts'

const MARK = '<!-- holdfast-signature '
const END = ' -->\n'

/** The whole page, signed. `reportSha256` is the hash of the sealed JSON it was drawn from. */
export function signedPage(report: DrillReport, reportSha256: string, key: SigningKey): string {
  const text = page(report, reportSha256, key.keyId)
  const signature = { keyId: key.keyId, publicKey: Buffer.from(key.publicPem).toString('hex'), value: key.sign(text) }
  return `${text}${MARK}${signature.keyId} ${signature.publicKey} ${signature.value}${END}`
}

export type PageCheck =
  | { readonly ok: true; readonly keyId: string; readonly publicPem: string; readonly sha256: string }
  | { readonly ok: false; readonly because: string }

/** Whether every byte of a page is as it was signed. */
export function checkPage(text: string): PageCheck {
  const at = text.lastIndexOf(MARK)
  if (at === -1 || !text.endsWith(END)) return { ok: false, because: 'it carries no signature' }
  const words = text.slice(at + MARK.length, -END.length).split(' ')
  const [keyId = '', publicKey = '', signature = ''] = words
  const publicPem = Buffer.from(publicKey, 'hex').toString('utf8')
  // One key has one spelling.
  const spelled = Buffer.from(publicPem).toString('hex') === publicKey
  if (words.length !== 3 || !spelled || keyIdOf(publicPem) !== keyId) {
    return { ok: false, because: 'the key it brings does not bear the name it gives' }
  }
  if (!verifySignature({ publicPem, text: text.slice(0, at), signature })) {
    return { ok: false, because: `the signature of key ${keyId} does not fit what stands here` }
  }
  return { ok: true, keyId, publicPem, sha256: sha256Hex(text) }
}

export function isPage(text: string): boolean {
  return /^<!doctype html>/i.test(text)
}

const NAMES = 'Names are those of accounts of the operating system; nothing authenticated them.'

function page(report: DrillReport, reportSha256: string, keyId: string): string {
  const { run, outcome, because } = report
  const title = `Drill ${run.drill} of ${run.group}: ${outcome}`
  const practice = run.practice ? ' &middot; practice on a copy' : ''
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${e(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kicker">${e(run.platform)} &middot; report ${report.chain.seq}${practice}</p>
<h1>${e(run.drill)} on ${e(run.group)}</h1>
<p class="outcome ${outcome === 'passed' ? 'good' : 'bad'}"><strong>${e(outcome)}</strong> ${e(because)}</p>
</header>
${figures(report)}
<section>
<h2>Acknowledged writes</h2>
${chart(report)}
</section>
${hypothesis(report)}
${checks(report)}
${timeline(report)}
${controls(report)}
${provenance(report, reportSha256, keyId)}
</main>
</body>
</html>
`
}

function figures({ objective, prediction, measured }: DrillReport): string {
  const row = (name: string, key: 'rtoMs' | 'rpoMs', words: string): string => {
    const found = measured === null ? null : measured[key]
    const met = found === null ? null : found <= objective[key]
    const verdict = met === null ? 'not measured' : met ? 'within' : 'above'
    return `<tr><th scope="row">${name}<small>${words}</small></th>
<td class="number ${met === false ? 'bad' : ''}">${found === null ? '-' : e(durationText(found))}</td>
<td class="number">${e(durationText(objective[key]))}</td>
<td class="number">${prediction === null ? '-' : e(durationText(prediction[key]))}</td>
<td>${verdict}</td></tr>`
  }
  const counts =
    measured === null
      ? 'Nothing was measured.'
      : `${measured.acked} writes were acknowledged, ${measured.failed} failed, ${measured.lost} acknowledged ones ` +
        `were lost, ${measured.doubled} stand there twice. ${measured.method}`
  return `<section>
<h2>Measured against objective and prediction</h2>
<div class="scroll"><table>
<thead><tr><th></th><th class="number">measured</th><th class="number">objective</th>
<th class="number">predicted</th><th>against objective</th></tr></thead>
<tbody>
${row('RTO', 'rtoMs', 'longest time without an acknowledged write')}
${row('RPO', 'rpoMs', 'how far back acknowledged writes were lost')}
</tbody></table></div>
<p>${e(counts)}</p>
${prediction === null ? '' : `<p class="quiet">Prediction: ${e(prediction.because)}.</p>`}
</section>`
}

function hypothesis(report: DrillReport): string {
  const { statement, description, scope, approvals, deviations, faultProof } = report
  const ms = (value: number | null): string => (value === null ? 'never' : `+${durationText(value)}`)
  const given = approvals.map((one) => `${one.by} before the ${one.gate} (+${durationText(one.sinceMs)})`)
  const rows: readonly (readonly [string, string])[] = [
    ['Statement', statement === '' ? '-' : statement],
    ['Purpose', description === '' ? '-' : description],
    ['Fault', scope.fault],
    ['Members hit', scope.members.length === 0 ? 'none' : scope.members.join(', ')],
    [
      'Blast radius',
      `at most ${scope.blastRadius.members} members, ${scope.blastRadius.sites} sites, ` +
        `${scope.blastRadius.groups} groups`,
    ],
    ['Abort conditions', scope.abortConditions],
    ['Approved by', given.length === 0 ? 'no approval was asked for' : `${given.join('; ')}. ${NAMES}`],
    [
      'Proof',
      `asked ${ms(faultProof.askedMs)}, seen on ${ms(faultProof.onMs)}, ` +
        `proved gone ${ms(faultProof.goneMs)}, recovered ${ms(faultProof.recoveredMs)}`,
    ],
  ]
  const list = rows.map(([name, value]) => `<dt>${e(name)}</dt><dd>${e(value)}</dd>`).join('\n')
  const found = deviations.map((one) => `<li>${e(one)}</li>`).join('')
  return `<section>
<h2>Hypothesis and scope</h2>
<dl>${list}</dl>
<h3>Deviations</h3>
${found === '' ? '<p>None.</p>' : `<ul>${found}</ul>`}
</section>`
}

function checks(report: DrillReport): string {
  const rows = report.checks.map(
    ({ when, check, looks, held }) =>
      `<tr><td>${e(when)}</td><td>${e(check)}</td><td class="number">${held} of ${looks}</td></tr>`,
  )
  return `<section>
<h2>Checks</h2>
<div class="scroll"><table>
<thead><tr><th>when</th><th>what</th><th class="number">held</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>
</section>`
}

function timeline(report: DrillReport): string {
  const rows = report.timeline.map(
    ({ sinceMs, source, code, words }) =>
      `<tr><td class="number">${sinceMs < 0 ? '-' : '+'}${(Math.abs(sinceMs) / 1_000).toFixed(3)} s</td>` +
      `<td>${e(source)}</td><td>${e(code)}</td><td>${e(words)}</td></tr>`,
  )
  return `<section>
<h2>Timeline</h2>
<div class="scroll"><table>
<thead><tr><th class="number">since the start</th><th>who</th><th>what</th><th>with</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>
<p class="quiet">${e(report.clocks)}</p>
</section>`
}

function controls(report: DrillReport): string {
  if (report.controls.length === 0) {
    return '<section><h2>Rules</h2><p>A drill with this outcome supports no rule.</p></section>'
  }
  const rows = report.controls.map(
    ({ rule, clause, supports, notProved }) =>
      `<tr><th scope="row">${e(rule)}<small>${e(clause)}</small></th>` +
      `<td>${e(supports)}</td><td>${e(notProved)}</td></tr>`,
  )
  return `<section>
<h2>Rules this report supports</h2>
<p class="quiet">Which part of a rule the report is evidence for, and what it does not prove. No legal advice.</p>
<div class="scroll"><table>
<thead><tr><th>rule</th><th>this report shows</th><th>it does not prove</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>
</section>`
}

function provenance({ run, chain }: DrillReport, reportSha256: string, keyId: string): string {
  const rows: readonly (readonly [string, string])[] = [
    ['Run', run.id],
    ['Begun', run.startedAt],
    ['Ended', run.endedAt],
    ['Run by', run.by],
    ['Tool', run.tool],
    ['Engine', run.engine],
    ['Description, SHA-256', run.configSha256],
    ['Drill file, SHA-256', run.drillSha256],
    ['This report as JSON, SHA-256', reportSha256],
    ['Report before, SHA-256', chain.previousSha256 ?? 'none: it is the first'],
    ['Signed with key', keyId],
  ]
  const list = rows.map(([name, value]) => `<dt>${e(name)}</dt><dd class="code">${e(value)}</dd>`).join('\n')
  return `<section>
<h2>Where it comes from</h2>
<dl>${list}</dl>
<p class="quiet">The last line of this file is an Ed25519 signature over every byte before it.
<code>holdfast evidence verify FILE...</code> checks it without a network, and that none of a series is missing.</p>
</section>`
}

/** Text that came from elsewhere, as text. */
export function e(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`)
}

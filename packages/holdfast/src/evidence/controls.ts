/**
 * Which part of a report supports which rule, and what it does not prove. A drill is evidence that a test was done and
 * what it showed; it never is the whole of a requirement, and it is no legal advice.
 */
export interface Control {
  readonly rule: string
  readonly clause: string
  /** What this report shows that the clause asks for. */
  readonly supports: string
  /** What an auditor still has to see elsewhere. */
  readonly notProved: string
}

const PRACTICE = 'It ran on a copy: it shows the set-up and the procedure, not the production systems themselves.'

const CONTROLS: readonly Control[] = [
  {
    rule: 'ISO 22301:2019',
    clause: '8.5 Exercise programme',
    supports:
      'An exercise with a stated scenario and objective (hypothesis, fault, objectives), done at a ' +
      'recorded time, with a formal report of outcomes and deviations after it.',
    notProved:
      'That a programme of exercises exists, that its interval is the planned one, and that what was ' +
      'found was acted upon.',
  },
  {
    rule: 'ISO 22301:2019',
    clause: '9.1 Monitoring, measurement, analysis and evaluation',
    supports: 'RTO and RPO measured by a client, with the method, beside objective and prediction.',
    notProved: 'That these objectives are the right ones; that follows from the business impact analysis (8.2.2).',
  },
  {
    rule: 'SOC 2 (TSC 2017)',
    clause: 'A1.2',
    supports: 'That the recovery infrastructure (replicas, automatic failover, routing) worked when it was needed.',
    notProved: 'Design, approval and maintenance of that infrastructure; environmental protections; backups.',
  },
  {
    rule: 'SOC 2 (TSC 2017)',
    clause: 'A1.3',
    supports:
      'A test of the recovery procedure with its scenario and result, and the completeness of the data: ' +
      'every acknowledged record was looked for afterwards.',
    notProved: 'Restore of backups, and scenarios in which key people are missing.',
  },
  {
    rule: 'DORA (EU) 2022/2554',
    clause: 'Article 11(6)',
    supports: 'A test of response and recovery of the systems named here, with a scenario of failover between them.',
    notProved:
      'The yearly test of all systems that support critical functions, crisis communication, and the ' +
      'independent review of the plans.',
  },
  {
    rule: 'DORA (EU) 2022/2554',
    clause: 'Article 12(6) and 12(7)',
    supports:
      'Recovery time and point against objectives (12(6)), and a check after recovery that every record ' +
      'is there exactly once (12(7)).',
    notProved:
      'Backup and restore procedures (12(1) to 12(3)), and reconciliation across several systems: this ' +
      'drill looked at one group.',
  },
  {
    rule: 'DORA (EU) 2022/2554',
    clause: 'Articles 24 and 25',
    supports: 'A scenario-based test with recorded findings, part of a testing programme.',
    notProved: 'The programme itself, the independence of testers, and that all findings were resolved.',
  },
  {
    rule: 'HIPAA',
    clause: '45 CFR 164.308(a)(7)(ii)(D) Testing and revision procedures',
    supports: 'A periodic test of a part of the contingency plan, with its result.',
    notProved:
      'Data backup plan (A), disaster recovery plan (B), emergency mode operation (C), criticality ' +
      'analysis (E), and the revision of the plan.',
  },
  {
    rule: 'GDPR (EU) 2016/679',
    clause: 'Article 32(1)(b), (c) and (d)',
    supports:
      'Resilience of the processing system (b), time in which access came back after a technical ' +
      'incident (c), and a test of the effectiveness of these measures (d).',
    notProved: 'Confidentiality, the restore of backups, and that erased data stay erased after one.',
  },
]

const STOPPED = 'The drill was aborted: it shows that a test was begun and could be stopped, not its result.'
const UNMEASURED = 'The drill failed before anything was measured: it shows that a test was tried, not its result.'

/** What may be said with a report of this outcome. One that refused or was not proved supports nothing. */
export function controlsFor(outcome: string, practice: boolean, measured: boolean): readonly Control[] {
  if (outcome === 'refused' || outcome === 'unproved') return []
  return CONTROLS.map((control) => ({
    ...control,
    supports: outcome === 'aborted' ? STOPPED : measured ? control.supports : UNMEASURED,
    notProved: practice ? `${control.notProved} ${PRACTICE}` : control.notProved,
  }))
}

/** What a tidy rule reports: where, which rule, and how to mend it. */
export interface Finding {
  /** Path from the root of the repository, with forward slashes. */
  readonly path: string
  readonly line: number
  readonly rule: string
  /** One sentence that says what is wrong and what is wanted instead. */
  readonly message: string
  /** Name of the function or word concerned, so that an allowance can be narrowed to it. */
  readonly subject?: string
}

export function formatFinding(finding: Finding): string {
  return `${finding.path}:${finding.line}: ${finding.message} [${finding.rule}]`
}

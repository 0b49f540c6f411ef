/**
 * Text that came from elsewhere, made harmless for a screen: characters that command a terminal or turn the order of
 * reading stand there as `\u001b`. That is also how JSON writes them, so JSON that passes here means what it meant.
 */
const COMMANDING = /\p{Cc}(\[(?:1|2|22|3[1239])m)?|[\p{Bidi_Control}\u2028\u2029]/gu
const ESCAPE = '\u001b'

/** Line breaks and tabs stay. With `colours` those that the command line itself uses stay as well. */
export function visibleText(text: string, colours = false): string {
  return text.replace(COMMANDING, (found: string, colour: string | undefined) => {
    const first = found.charAt(0)
    if (first === '\n' || first === '\t') return found
    if (colours && colour !== undefined && first === ESCAPE) return found
    return `\\u${first.charCodeAt(0).toString(16).padStart(4, '0')}${colour ?? ''}`
  })
}

/** The same for a piece of one line. */
export function visibleLine(text: string): string {
  return visibleText(text.replace(/[\r\n\t]+/g, ' '))
}

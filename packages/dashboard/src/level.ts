/** How a group stands, in one word. */
/** `down`: clients cannot write. `exposed`: they can, but one more loss would cost. `watched`: nobody would act. */
export type Level = 'safe' | 'exposed' | 'paused' | 'watched' | 'down' | 'unknown'

export interface Standing {
  readonly level: Level
  readonly word: string
}

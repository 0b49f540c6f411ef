/** The browser's clocks, here and nowhere else. Ages and deadlines are told by `nowMs`, which never jumps. */
export const nowMs = (): number => performance.now()
export const wallMs = (): number => Date.now()

/** Keeps one remote address from taking every connection of a server, so that the others are still heard. */
import type { Server, Socket } from 'node:net'

/** Closes what one address opens beyond `perRemoteMax`, before anything of it is read. */
export function boundRemotes(server: Server, perRemoteMax: number): void {
  const open = new Map<string, number>()
  server.prependListener('connection', (socket: Socket) => {
    const remote = socket.remoteAddress
    // Gone already: it holds no place.
    if (remote === undefined) return
    const count = (open.get(remote) ?? 0) + 1
    if (count > perRemoteMax) {
      socket.destroy()
      return
    }
    open.set(remote, count)
    socket.once('close', () => {
      const left = (open.get(remote) ?? 1) - 1
      if (left > 0) open.set(remote, left)
      else open.delete(remote)
    })
  })
}

/** Mail by SMTP. The library writes headers and MIME, so that no text of ours can add a header or a recipient. */
import { hash } from 'node:crypto'
import { createTransport } from 'nodemailer'
import type { ChannelSpec } from '../config/platform.ts'
import type { Delivery } from '../core/alerts/state.ts'
import { type Channel, type Context, type Outcome, SEND_MS } from './channel.ts'
import { lines, title } from './message.ts'
import { failure } from './post.ts'

type MailSpec = Extract<ChannelSpec, { kind: 'mail' }>

export function mail(spec: MailSpec): Channel {
  return { name: spec.name, send: (delivery, context) => send(spec, delivery, context) }
}

async function send(spec: MailSpec, delivery: Delivery, context: Context): Promise<Outcome> {
  const { server, tls, user, password, from, to } = spec
  const transport = createTransport({
    host: server.host,
    port: server.port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(user === null || password === null ? {} : { auth: { user, pass: password.reveal() } }),
    connectionTimeout: SEND_MS,
    greetingTimeout: SEND_MS,
    socketTimeout: SEND_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const because = `no answer within ${SEND_MS / 1_000} s`
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, because, waitMs: 0 }), SEND_MS)
  })
  const thread = messageId(`${delivery.platform}/${delivery.scope}`)
  const sent = transport
    .sendMail({
      from,
      to: [...to],
      subject: title(delivery),
      text: `${lines(delivery, context).join('\n')}\n`,
      // The same for every attempt, so that mail programs show it once; the scope keeps them in one thread.
      messageId: messageId(delivery.id),
      references: thread,
      headers: { 'Auto-Submitted': 'auto-generated' },
    })
    .then(
      (info): Outcome =>
        info.rejected.length === 0
          ? { ok: true }
          : { ok: false, because: `the server refused ${info.rejected.length} of ${to.length} recipients`, waitMs: 0 },
      (error: unknown): Outcome => ({ ok: false, because: told(error), waitMs: 0 }),
    )
  try {
    return await Promise.race([sent, late])
  } finally {
    clearTimeout(timer)
    transport.close()
  }
}

function messageId(text: string): string {
  return `<${hash('sha256', text).slice(0, 40)}@holdfast>`
}

function told(error: unknown): string {
  const status = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : Number.NaN
  return Number.isInteger(status) ? `the mail server answered with ${status}` : failure(error)
}

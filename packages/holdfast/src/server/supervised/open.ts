/** From a described group that another program leads to the one who asks that program. */
import { keyText, pemText } from '../../config/pem.ts'
import type { SupervisedSpec } from '../../config/supervised.ts'
import { openSupervisor } from '../../engines/open-supervisor.ts'
import type { Supervisor, SupervisorOptions } from '../../engines/supervisor.ts'
import { systemClock } from '../../io/clock.ts'

/** One look at everything: voices and engines are asked at once, and the well ones answer in milliseconds. */
export const LOOK_MS = 4_000

/** Reveals the secrets and reads the certificates; throws a HoldfastError when one is missing. */
export function supervisorOptions(spec: SupervisedSpec): SupervisorOptions {
  const { by, endpoints, called, login, observer, tls } = spec
  return {
    by,
    endpoints,
    name: called,
    login: login === null ? null : { user: login.user, password: login.password.reveal() },
    observer:
      observer === null
        ? null
        : { user: observer.user, password: observer.password.reveal(), database: observer.database },
    tls:
      tls === null
        ? null
        : {
            ca: pemText(tls.caFile),
            ...(tls.certFile !== null && tls.keyFile !== null
              ? { cert: pemText(tls.certFile), key: keyText(tls.keyFile) }
              : {}),
          },
    clock: systemClock,
  }
}

export function openSupervised(spec: SupervisedSpec): Promise<Supervisor> {
  return openSupervisor(supervisorOptions(spec))
}

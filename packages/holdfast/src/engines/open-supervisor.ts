/** The managers there are, each loaded when it is first needed. */
import type { ManagerKind, Supervisor, SupervisorOptions } from './supervisor.ts'

const MANAGERS: Readonly<Record<ManagerKind, (options: SupervisorOptions) => Promise<Supervisor>>> = {
  patroni: async (o) => (await import('./patroni/adapter.ts')).createPatroniSupervisor(o),
  sentinel: async (o) => (await import('./sentinel/adapter.ts')).createSentinelSupervisor(o),
  'redis-cluster': async (o) => (await import('./redis-cluster/adapter.ts')).createClusterSupervisor(o),
}

export function openSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  return MANAGERS[options.by](options)
}

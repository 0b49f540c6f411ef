/**
 * What `holdfast server` takes and answers. Made by `npm run schema` from the table of its routes.
 */

import type {
  ApiAbortDrill,
  ApiAlerts,
  ApiApproval,
  ApiAsked,
  ApiAuditPage,
  ApiAuditVerdict,
  ApiAutomationRequest,
  ApiCanary,
  ApiDecision,
  ApiDrillAborted,
  ApiDrillDay,
  ApiDrillGate,
  ApiDrillOrder,
  ApiDrillReport,
  ApiDrillReportLine,
  ApiDrillReportVerdict,
  ApiDrillScores,
  ApiDrills,
  ApiEventPage,
  ApiExplanation,
  ApiFailoverRequest,
  ApiFaults,
  ApiFirstAdmin,
  ApiGroup,
  ApiIncident,
  ApiIncidentMeasured,
  ApiIntent,
  ApiLogin,
  ApiLoginMethods,
  ApiNewToken,
  ApiNewUser,
  ApiOk,
  ApiOutcomes,
  ApiPasswordChange,
  ApiPauseRequest,
  ApiPlan,
  ApiPlanAsked,
  ApiPlanDraft,
  ApiPlanRequest,
  ApiPlatform,
  ApiServiceCanary,
  ApiServiceDetail,
  ApiSession,
  ApiSilenceRequest,
  ApiStartDrill,
  ApiSupervisedGroup,
  ApiSwitchoverRequest,
  ApiToken,
  ApiTokenMade,
  ApiUser,
  ApiUserChange,
} from './server-types.ts'

/** By name: what goes in, what comes out. */
export interface ServerRoutes {
  readonly platform: {
    readonly answer: ApiPlatform
  }
  readonly group: {
    readonly params: {
      readonly group: string
    }
    readonly answer: ApiGroup
  }
  readonly explainGroup: {
    readonly params: {
      readonly group: string
    }
    readonly answer: ApiExplanation
  }
  readonly supervised: {
    readonly answer: readonly ApiSupervisedGroup[]
  }
  readonly events: {
    readonly query: {
      /** Only events with a greater number, oldest first. */
      readonly after?: number
      /** Only events with a smaller number, newest first. */
      readonly before?: number
      readonly group?: string
      readonly incident?: string
      readonly kind?:
        | 'reason'
        | 'role'
        | 'leader'
        | 'verdict'
        | 'pause'
        | 'agent'
        | 'incident'
        | 'action'
        | 'approval'
        | 'plan'
        | 'server'
        | 'drill'
        | 'canary'
        | 'alert'
      readonly limit?: number
    }
    readonly answer: ApiEventPage
  }
  readonly stream: {
    readonly answer: 'stream'
  }
  readonly incidents: {
    readonly query: {
      readonly group?: string
      readonly state?: 'open' | 'closed'
      readonly limit?: number
    }
    readonly answer: readonly ApiIncident[]
  }
  readonly incident: {
    readonly params: {
      readonly id: string
    }
    readonly answer: ApiIncident
  }
  readonly groupCanary: {
    readonly params: {
      readonly group: string
    }
    readonly answer: ApiCanary
  }
  readonly serviceCanary: {
    readonly params: {
      readonly service: string
    }
    readonly answer: ApiServiceCanary
  }
  readonly incidentCanary: {
    readonly params: {
      readonly id: string
    }
    readonly answer: ApiIncidentMeasured
  }
  readonly switchover: {
    readonly params: {
      readonly group: string
    }
    readonly body: ApiSwitchoverRequest
    readonly answer: ApiAsked
  }
  readonly failover: {
    readonly params: {
      readonly group: string
    }
    readonly body: ApiFailoverRequest
    readonly answer: ApiAsked
  }
  readonly intent: {
    readonly params: {
      readonly group: string
      readonly id: string
    }
    readonly answer: ApiIntent
  }
  readonly pause: {
    readonly params: {
      readonly group: string
    }
    readonly body: ApiPauseRequest
    readonly answer: ApiOk
  }
  readonly resume: {
    readonly params: {
      readonly group: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiOk
  }
  readonly automation: {
    readonly body: ApiAutomationRequest
    readonly answer: ApiOutcomes
  }
  readonly approvals: {
    readonly query: {
      readonly state?: 'waiting' | 'approved' | 'rejected' | 'expired' | 'failed'
    }
    readonly answer: readonly ApiApproval[]
  }
  readonly approve: {
    readonly params: {
      readonly id: string
    }
    readonly body: ApiDecision
    readonly answer: ApiApproval
  }
  readonly reject: {
    readonly params: {
      readonly id: string
    }
    readonly body: ApiDecision
    readonly answer: ApiApproval
  }
  readonly services: {
    readonly answer: readonly ApiServiceDetail[]
  }
  readonly service: {
    readonly params: {
      readonly service: string
    }
    readonly answer: ApiServiceDetail
  }
  readonly draftPlan: {
    readonly params: {
      readonly service: string
    }
    readonly query: {
      /** The site where it shall be. */
      readonly to?: string
      /** Instead: away from this member. */
      readonly member?: string
      /** As if this were asked for; e.g. what a failover would lose now. */
      readonly kind?: 'switchover' | 'failover' | 'failback' | 'evacuate'
    }
    readonly answer: ApiPlanDraft
  }
  readonly plans: {
    readonly params: {
      readonly service: string
    }
    readonly query: {
      readonly limit?: number
    }
    readonly answer: readonly ApiPlan[]
  }
  readonly plan: {
    readonly params: {
      readonly service: string
      readonly id: string
    }
    readonly answer: ApiPlan
  }
  readonly beginPlan: {
    readonly params: {
      readonly service: string
    }
    readonly body: ApiPlanRequest
    readonly answer: ApiPlanAsked
  }
  readonly cancelPlan: {
    readonly params: {
      readonly service: string
      readonly id: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiPlan
  }
  readonly resumePlan: {
    readonly params: {
      readonly service: string
      readonly id: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiPlan
  }
  readonly methods: {
    readonly answer: ApiLoginMethods
  }
  readonly login: {
    readonly body: ApiLogin
    readonly answer: ApiSession
  }
  readonly session: {
    readonly answer: ApiSession
  }
  readonly logout: {
    readonly answer: ApiOk
  }
  readonly firstAdmin: {
    readonly body: ApiFirstAdmin
    readonly answer: ApiSession
  }
  readonly oidcStart: {
    readonly answer: 'redirect'
  }
  readonly oidcCallback: {
    readonly query: {
      readonly code?: string
      readonly state?: string
      readonly error?: string
    }
    readonly answer: 'redirect'
  }
  readonly changePassword: {
    readonly body: ApiPasswordChange
    readonly answer: ApiOk
  }
  readonly users: {
    readonly answer: readonly ApiUser[]
  }
  readonly addUser: {
    readonly body: ApiNewUser
    readonly answer: ApiUser
  }
  readonly changeUser: {
    readonly params: {
      readonly user: string
    }
    readonly body: ApiUserChange
    readonly answer: ApiUser
  }
  readonly removeUser: {
    readonly params: {
      readonly user: string
    }
    readonly answer: ApiOk
  }
  readonly tokens: {
    readonly answer: readonly ApiToken[]
  }
  readonly addToken: {
    readonly body: ApiNewToken
    readonly answer: ApiTokenMade
  }
  readonly removeToken: {
    readonly params: {
      readonly id: string
    }
    readonly answer: ApiOk
  }
  readonly audit: {
    readonly query: {
      /** Only entries with a smaller number. */
      readonly before?: number
      readonly actor?: string
      readonly action?: string
      readonly subject?: string
      /** Anywhere in actor, action, subject or detail. */
      readonly search?: string
      readonly limit?: number
    }
    readonly answer: ApiAuditPage
  }
  readonly auditVerify: {
    readonly answer: ApiAuditVerdict
  }
  readonly auditExport: {
    readonly answer: 'lines'
  }
  readonly drills: {
    readonly answer: ApiDrills
  }
  readonly drillScores: {
    readonly answer: ApiDrillScores
  }
  readonly startDrill: {
    readonly params: {
      readonly group: string
    }
    readonly body: ApiStartDrill
    readonly answer: ApiDrillOrder
  }
  readonly drillDay: {
    readonly body: ApiDrillDay
    readonly answer: ApiDrillOrder
  }
  readonly approveDrills: {
    readonly params: {
      readonly id: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiDrillOrder
  }
  readonly rejectDrills: {
    readonly params: {
      readonly id: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiDrillOrder
  }
  readonly approveDrillGate: {
    readonly params: {
      readonly group: string
    }
    readonly body: ApiDrillGate
    readonly answer: ApiOk
  }
  readonly abortDrill: {
    readonly params: {
      readonly group: string
    }
    readonly body: ApiAbortDrill
    readonly answer: ApiDrillAborted
  }
  readonly faults: {
    readonly answer: ApiFaults
  }
  readonly stopFaults: {
    readonly body: ApiAbortDrill
    readonly answer: ApiFaults
  }
  readonly drillReports: {
    readonly query: {
      readonly group?: string
      readonly limit?: number
    }
    readonly answer: readonly ApiDrillReportLine[]
  }
  readonly drillReport: {
    readonly params: {
      readonly id: string
    }
    readonly answer: ApiDrillReport
  }
  readonly verifyDrillReport: {
    readonly params: {
      readonly id: string
    }
    readonly answer: ApiDrillReportVerdict
  }
  readonly drillReportFile: {
    readonly params: {
      readonly id: string
      readonly kind: 'json' | 'html' | 'pdf' | 'seal'
    }
    readonly answer: 'file'
  }
  readonly alerts: {
    readonly answer: ApiAlerts
  }
  readonly silence: {
    readonly body: ApiSilenceRequest
    readonly answer: {
      readonly id: string
    }
  }
  readonly endSilence: {
    readonly params: {
      readonly id: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiOk
  }
  readonly acknowledge: {
    readonly params: {
      readonly id: string
    }
    readonly body: Readonly<Record<string, never>>
    readonly answer: ApiOk
  }
}

export const SERVER_ROUTES = {
  platform: { method: 'GET', path: '/api/v1/platform' },
  group: { method: 'GET', path: '/api/v1/groups/:group' },
  explainGroup: { method: 'GET', path: '/api/v1/groups/:group/explain' },
  supervised: { method: 'GET', path: '/api/v1/supervised' },
  events: { method: 'GET', path: '/api/v1/events' },
  stream: { method: 'GET', path: '/api/v1/stream' },
  incidents: { method: 'GET', path: '/api/v1/incidents' },
  incident: { method: 'GET', path: '/api/v1/incidents/:id' },
  groupCanary: { method: 'GET', path: '/api/v1/groups/:group/canary' },
  serviceCanary: { method: 'GET', path: '/api/v1/services/:service/canary' },
  incidentCanary: { method: 'GET', path: '/api/v1/incidents/:id/canary' },
  switchover: { method: 'POST', path: '/api/v1/groups/:group/switchover' },
  failover: { method: 'POST', path: '/api/v1/groups/:group/failover' },
  intent: { method: 'GET', path: '/api/v1/groups/:group/intents/:id' },
  pause: { method: 'POST', path: '/api/v1/groups/:group/pause' },
  resume: { method: 'POST', path: '/api/v1/groups/:group/resume' },
  automation: { method: 'POST', path: '/api/v1/automation' },
  approvals: { method: 'GET', path: '/api/v1/approvals' },
  approve: { method: 'POST', path: '/api/v1/approvals/:id/approve' },
  reject: { method: 'POST', path: '/api/v1/approvals/:id/reject' },
  services: { method: 'GET', path: '/api/v1/services' },
  service: { method: 'GET', path: '/api/v1/services/:service' },
  draftPlan: { method: 'GET', path: '/api/v1/services/:service/dry-run' },
  plans: { method: 'GET', path: '/api/v1/services/:service/plans' },
  plan: { method: 'GET', path: '/api/v1/services/:service/plans/:id' },
  beginPlan: { method: 'POST', path: '/api/v1/services/:service/plans' },
  cancelPlan: { method: 'POST', path: '/api/v1/services/:service/plans/:id/cancel' },
  resumePlan: { method: 'POST', path: '/api/v1/services/:service/plans/:id/resume' },
  methods: { method: 'GET', path: '/api/v1/session/methods' },
  login: { method: 'POST', path: '/api/v1/session' },
  session: { method: 'GET', path: '/api/v1/session' },
  logout: { method: 'DELETE', path: '/api/v1/session' },
  firstAdmin: { method: 'POST', path: '/api/v1/session/first-admin' },
  oidcStart: { method: 'GET', path: '/api/v1/session/oidc' },
  oidcCallback: { method: 'GET', path: '/api/v1/session/oidc/callback' },
  changePassword: { method: 'POST', path: '/api/v1/session/password' },
  users: { method: 'GET', path: '/api/v1/users' },
  addUser: { method: 'POST', path: '/api/v1/users' },
  changeUser: { method: 'PATCH', path: '/api/v1/users/:user' },
  removeUser: { method: 'DELETE', path: '/api/v1/users/:user' },
  tokens: { method: 'GET', path: '/api/v1/tokens' },
  addToken: { method: 'POST', path: '/api/v1/tokens' },
  removeToken: { method: 'DELETE', path: '/api/v1/tokens/:id' },
  audit: { method: 'GET', path: '/api/v1/audit' },
  auditVerify: { method: 'GET', path: '/api/v1/audit/verify' },
  auditExport: { method: 'GET', path: '/api/v1/audit/export' },
  drills: { method: 'GET', path: '/api/v1/drills' },
  drillScores: { method: 'GET', path: '/api/v1/drills/scores' },
  startDrill: { method: 'POST', path: '/api/v1/groups/:group/drills' },
  drillDay: { method: 'POST', path: '/api/v1/drills/days' },
  approveDrills: { method: 'POST', path: '/api/v1/drills/orders/:id/approve' },
  rejectDrills: { method: 'POST', path: '/api/v1/drills/orders/:id/reject' },
  approveDrillGate: { method: 'POST', path: '/api/v1/groups/:group/drills/approve' },
  abortDrill: { method: 'POST', path: '/api/v1/groups/:group/drills/abort' },
  faults: { method: 'GET', path: '/api/v1/faults' },
  stopFaults: { method: 'POST', path: '/api/v1/faults/stop' },
  drillReports: { method: 'GET', path: '/api/v1/drills/reports' },
  drillReport: { method: 'GET', path: '/api/v1/drills/reports/:id' },
  verifyDrillReport: { method: 'GET', path: '/api/v1/drills/reports/:id/verify' },
  drillReportFile: { method: 'GET', path: '/api/v1/drills/reports/:id/files/:kind' },
  alerts: { method: 'GET', path: '/api/v1/alerts' },
  silence: { method: 'POST', path: '/api/v1/alerts/silences' },
  endSilence: { method: 'POST', path: '/api/v1/alerts/silences/:id/end' },
  acknowledge: { method: 'POST', path: '/api/v1/alerts/:id/acknowledge' },
} as const

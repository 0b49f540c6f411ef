/**
 * The one table of the server's routes: who may call each, what goes in, what comes out. The server serves it, the
 * OpenAPI document and the client are made from it, and the tests of access walk through it; so a route that is added
 * here is checked, described and refused to strangers without another line.
 */
import * as access from './access.ts'
import * as actions from './actions.ts'
import { ALERT_ROUTES } from './alerts.ts'
import * as audit from './audit.ts'
import * as canary from './canary.ts'
import { DRILL_ROUTES } from './drill-routes.ts'
import * as events from './events.ts'
import * as plans from './plans.ts'
import * as platform from './platform.ts'
import type { ApiRoute } from './route.ts'
import { supervisedSchema } from './supervised.ts'

export type { ApiRoute } from './route.ts'

const read = { method: 'GET', needs: 'read' } as const
const { groupParams } = actions

const PLATFORM_ROUTES = {
  platform: { ...read, path: '/platform', summary: 'Everything as it is now', answer: platform.platformSchema },
  group: { ...read, path: '/groups/:group', summary: 'One group', params: groupParams, answer: platform.groupSchema },
  explainGroup: {
    ...read,
    path: '/groups/:group/explain',
    summary: 'Who could take over, and why the others not',
    params: groupParams,
    answer: platform.explanationSchema,
  },
  supervised: {
    ...read,
    path: '/supervised',
    summary: 'Groups that another program leads',
    answer: supervisedSchema.array(),
  },
  events: {
    ...read,
    path: '/events',
    summary: 'What happened',
    query: events.eventQuery,
    answer: events.eventPage,
  },
  stream: {
    ...read,
    path: '/stream',
    summary: 'Everything that changes, as server-sent events; resumes by Last-Event-ID',
    answer: 'stream',
  },
  incidents: {
    ...read,
    path: '/incidents',
    summary: 'Failovers, switchovers and outages, newest first',
    query: events.incidentQuery,
    answer: events.incidentSchema.array(),
  },
  incident: {
    ...read,
    path: '/incidents/:id',
    summary: 'One incident with its phases',
    params: actions.idParams,
    answer: events.incidentSchema,
  },
} as const satisfies Record<string, ApiRoute>

const CANARY_ROUTES = {
  groupCanary: {
    ...read,
    path: '/groups/:group/canary',
    summary: 'What clients of the group see, measured by records written and read as they do',
    params: groupParams,
    answer: canary.canarySchema,
  },
  serviceCanary: {
    ...read,
    path: '/services/:service/canary',
    summary: 'The same for a service: it is as well off as the worst of its groups',
    params: canary.serviceParams,
    answer: canary.serviceCanarySchema,
  },
  incidentCanary: {
    ...read,
    path: '/incidents/:id/canary',
    summary: 'What clients saw of an incident: the outage, the loss, and what became of writes second by second',
    params: actions.idParams,
    answer: canary.incidentMeasuredSchema,
  },
} as const satisfies Record<string, ApiRoute>

const operate = { method: 'POST', needs: 'operate' } as const

const ACTION_ROUTES = {
  switchover: {
    ...operate,
    path: '/groups/:group/switchover',
    summary: 'Move the primary, planned and without loss',
    params: groupParams,
    body: actions.switchoverBody,
    answer: actions.askedSchema,
  },
  failover: {
    ...operate,
    path: '/groups/:group/failover',
    summary: 'Make another member primary when the primary is gone',
    params: groupParams,
    body: actions.failoverBody,
    answer: actions.askedSchema,
  },
  intent: {
    ...read,
    path: '/groups/:group/intents/:id',
    summary: 'How far a switchover or failover is',
    params: actions.groupIntentParams,
    answer: actions.intentSchema,
  },
  pause: {
    ...operate,
    path: '/groups/:group/pause',
    summary: 'No automatic promotion or demotion until it ends',
    params: groupParams,
    body: actions.pauseBody,
    answer: actions.okSchema,
  },
  resume: {
    ...operate,
    path: '/groups/:group/resume',
    summary: 'End the pause',
    params: groupParams,
    body: actions.emptyBody,
    answer: actions.okSchema,
  },
  automation: {
    ...operate,
    path: '/automation',
    summary: 'Pause or resume every group',
    body: actions.automationBody,
    answer: actions.outcomesSchema,
  },
  approvals: {
    ...read,
    path: '/approvals',
    summary: 'Requests that wait for an approver, and what became of others',
    query: actions.approvalQuery,
    answer: actions.approvalSchema.array(),
  },
  approve: {
    method: 'POST',
    needs: 'session',
    path: '/approvals/:id/approve',
    summary: 'Carry it out; needs the right to approve over its group, and is refused to who asked for it',
    params: actions.idParams,
    body: actions.decisionBody,
    answer: actions.approvalSchema,
  },
  reject: {
    method: 'POST',
    needs: 'session',
    path: '/approvals/:id/reject',
    summary: 'Do not carry it out; also for who asked for it',
    params: actions.idParams,
    body: actions.decisionBody,
    answer: actions.approvalSchema,
  },
} as const satisfies Record<string, ApiRoute>

const { serviceParams, planParams } = plans

const SERVICE_ROUTES = {
  services: {
    ...read,
    path: '/services',
    summary: 'All services: where they are, safe or not, the last plan, and how each could move now',
    answer: platform.serviceDetailSchema.array(),
  },
  service: {
    ...read,
    path: '/services/:service',
    summary: 'One service, and how it could move now',
    params: serviceParams,
    answer: platform.serviceDetailSchema,
  },
  draftPlan: {
    ...read,
    path: '/services/:service/dry-run',
    summary: 'The plan of a move: steps with predicted times, what could be lost, who would refuse; changes nothing',
    params: serviceParams,
    query: plans.draftQuery,
    answer: plans.planDraftSchema,
  },
  plans: {
    ...read,
    path: '/services/:service/plans',
    summary: 'Its plans, newest first',
    params: serviceParams,
    query: plans.planQuery,
    answer: plans.planSchema.array(),
  },
  plan: {
    ...read,
    path: '/services/:service/plans/:id',
    summary: 'How far one plan is, or how it ended',
    params: planParams,
    answer: plans.planSchema,
  },
  beginPlan: {
    ...operate,
    path: '/services/:service/plans',
    summary: 'Move the service, or its primary away from one member; where it may lose data, after an approval',
    params: serviceParams,
    body: plans.planBody,
    answer: actions.planAskedSchema,
  },
  cancelPlan: {
    ...operate,
    path: '/services/:service/plans/:id/cancel',
    summary: 'Take the plan back',
    params: planParams,
    body: actions.emptyBody,
    answer: plans.planSchema,
  },
  resumePlan: {
    ...operate,
    path: '/services/:service/plans/:id/resume',
    summary: 'Go on with a plan whose runner is gone',
    params: planParams,
    body: actions.emptyBody,
    answer: plans.planSchema,
  },
} as const satisfies Record<string, ApiRoute>

const SESSION_ROUTES = {
  methods: {
    method: 'GET',
    needs: 'public',
    path: '/session/methods',
    summary: 'How one can log in here',
    answer: access.methodsSchema,
  },
  login: {
    method: 'POST',
    needs: 'public',
    path: '/session',
    summary: 'Log in; sets the session cookie',
    body: access.loginBody,
    answer: access.sessionSchema,
  },
  session: {
    method: 'GET',
    needs: 'session',
    path: '/session',
    summary: 'Who I am and what I may do',
    answer: access.sessionSchema,
  },
  logout: {
    method: 'DELETE',
    needs: 'session',
    path: '/session',
    summary: 'Log out',
    answer: actions.okSchema,
  },
  firstAdmin: {
    method: 'POST',
    needs: 'public',
    path: '/session/first-admin',
    summary: 'Make the first account, with the one-time code the server printed; logs in',
    body: access.firstAdminBody,
    answer: access.sessionSchema,
  },
  oidcStart: {
    method: 'GET',
    needs: 'public',
    path: '/session/oidc',
    summary: 'Log in at the identity provider',
    answer: 'redirect',
  },
  oidcCallback: {
    method: 'GET',
    needs: 'public',
    path: '/session/oidc/callback',
    summary: 'Where the identity provider sends people back to',
    query: access.oidcCallbackQuery,
    answer: 'redirect',
  },
  changePassword: {
    method: 'POST',
    needs: 'session',
    path: '/session/password',
    summary: 'Change my password; ends my other sessions',
    body: access.passwordBody,
    answer: actions.okSchema,
  },
} as const satisfies Record<string, ApiRoute>

const admin = { needs: 'admin' } as const

const ACCESS_ROUTES = {
  users: { ...admin, method: 'GET', path: '/users', summary: 'All accounts', answer: access.userSchema.array() },
  addUser: {
    ...admin,
    method: 'POST',
    path: '/users',
    summary: 'Make an account',
    body: access.userBody,
    answer: access.userSchema,
  },
  changeUser: {
    ...admin,
    method: 'PATCH',
    path: '/users/:user',
    summary: 'Change an account or its grants; ends its sessions',
    params: access.userParams,
    body: access.userChange,
    answer: access.userSchema,
  },
  removeUser: {
    ...admin,
    method: 'DELETE',
    path: '/users/:user',
    summary: 'Remove an account, its sessions and tokens',
    params: access.userParams,
    answer: actions.okSchema,
  },
  tokens: {
    method: 'GET',
    needs: 'session',
    path: '/tokens',
    summary: 'My tokens; for an admin those of all',
    answer: access.tokenSchema.array(),
  },
  addToken: {
    method: 'POST',
    needs: 'session',
    path: '/tokens',
    summary: 'Make a token that acts for me',
    body: access.tokenBody,
    answer: access.newTokenSchema,
  },
  removeToken: {
    method: 'DELETE',
    needs: 'session',
    path: '/tokens/:id',
    summary: 'Revoke a token of mine; for an admin any',
    params: access.tokenParams,
    answer: actions.okSchema,
  },
} as const satisfies Record<string, ApiRoute>

const AUDIT_ROUTES = {
  audit: {
    method: 'GET',
    needs: 'audit',
    path: '/audit',
    summary: 'The audit log, newest first',
    query: audit.auditQuery,
    answer: audit.auditPage,
  },
  auditVerify: {
    method: 'GET',
    needs: 'audit',
    path: '/audit/verify',
    summary: 'Recompute the whole chain and check every signature',
    answer: audit.auditVerdictSchema,
  },
  auditExport: {
    method: 'GET',
    needs: 'audit',
    path: '/audit/export',
    summary: 'The whole log with its checkpoints, one JSON line each; `holdfast audit verify` reads it',
    answer: 'lines',
  },
} as const satisfies Record<string, ApiRoute>

export const API_ROUTES = {
  ...PLATFORM_ROUTES,
  ...CANARY_ROUTES,
  ...ACTION_ROUTES,
  ...SERVICE_ROUTES,
  ...SESSION_ROUTES,
  ...ACCESS_ROUTES,
  ...AUDIT_ROUTES,
  ...DRILL_ROUTES,
  ...ALERT_ROUTES,
} as const

export type RouteId = keyof typeof API_ROUTES
export const API_PREFIX = '/api/v1'

/** Every error a person can meet, in one table: stable code, HTTP status, whether trying again can help. */
export interface ErrorRow {
  readonly status: number
  readonly retryable: boolean
  readonly title: string
}

export const ERRORS = {
  HF_AGENT_NAME_IN_USE: {
    status: 409,
    retryable: true,
    title: 'Another process runs under the name of this agent',
  },
  HF_AGENT_SILENT: { status: 504, retryable: false, title: 'An agent took the request and did not answer' },
  HF_AGENT_UNREACHABLE: { status: 503, retryable: true, title: 'No agent of the group answers' },
  HF_ALERTS_FILE_UNUSABLE: { status: 500, retryable: false, title: 'The file of the alerts cannot be used' },
  HF_ALERTS_RUNNING: { status: 409, retryable: true, title: 'Another process runs the alerts of this platform' },
  HF_ALERT_UNDELIVERED: { status: 502, retryable: true, title: 'A channel did not take a message' },
  HF_ALERT_UNKNOWN: { status: 404, retryable: false, title: 'No such alert, silence or channel is known' },
  HF_APPROVAL_CLOSED: { status: 409, retryable: false, title: 'This request was decided already, or ran out' },
  HF_AUTH_REQUIRED: { status: 401, retryable: false, title: 'The token is missing or wrong' },
  HF_BODY_INVALID: { status: 400, retryable: false, title: 'The request does not say what is needed' },
  HF_BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    title: 'The request is larger than anything that makes sense here',
  },
  HF_BUSY: { status: 503, retryable: true, title: 'Too much is asked at the same time' },
  HF_CANARY_IMPOSSIBLE: { status: 409, retryable: false, title: 'Nobody is described to write as a client' },
  HF_CHROMIUM_MISSING: { status: 500, retryable: false, title: 'There is no Chromium that prints' },
  HF_CODE_INVALID: { status: 401, retryable: false, title: 'The one-time code is not valid' },
  HF_CONFIG_INVALID: { status: 400, retryable: false, title: 'The description has mistakes' },
  HF_CSRF_MISSING: { status: 403, retryable: false, title: 'The change does not come from our own page' },
  HF_DATABASE_NEWER: { status: 500, retryable: false, title: 'The database was written by a newer version' },
  HF_DATABASE_UNUSABLE: { status: 503, retryable: true, title: 'The database of the server does not answer' },
  HF_DISK_FULL: { status: 507, retryable: true, title: 'The disk is full' },
  HF_DRILL_REFUSED: { status: 409, retryable: false, title: 'The drill may not be done here, or not now' },
  HF_DRILL_UNKNOWN: { status: 404, retryable: false, title: 'No such drill or fault is known' },
  HF_FILE_TOO_LARGE: { status: 400, retryable: false, title: 'A file is larger than what is read' },
  HF_FILE_UNREADABLE: { status: 500, retryable: false, title: 'A file cannot be read' },
  HF_FILE_UNWRITABLE: { status: 500, retryable: false, title: 'A file cannot be written' },
  HF_FORBIDDEN: { status: 403, retryable: false, title: 'The right to do this was not granted' },
  HF_GROUP_CHANGED: { status: 409, retryable: true, title: 'The group is no longer as the request demands' },
  HF_GROUP_UNKNOWN: { status: 404, retryable: false, title: 'This agent stands beside no member of that group' },
  HF_INTENT_BUSY: { status: 409, retryable: true, title: 'Another request for this group is being carried out' },
  HF_INTENT_REFUSED: { status: 409, retryable: false, title: 'The request breaks a rule' },
  HF_INTENT_UNKNOWN: { status: 404, retryable: false, title: 'No such request is known for this group' },
  HF_INTERNAL: { status: 500, retryable: false, title: 'Holdfast met a state it does not know' },
  HF_LAST_ADMIN: { status: 409, retryable: false, title: 'Nobody could administer the server afterwards' },
  HF_LIMIT_REACHED: { status: 409, retryable: false, title: 'There are as many of these as there may be' },
  HF_LISTEN_FAILED: { status: 500, retryable: true, title: 'The address cannot be listened on' },
  HF_LISTEN_UNSAFE: { status: 400, retryable: false, title: 'Listening beyond this machine needs a token and TLS' },
  HF_LOGIN_FAILED: { status: 401, retryable: false, title: 'Logging in failed' },
  HF_MANAGER_DECIDES: {
    status: 409,
    retryable: false,
    title: 'The group is led by another program, which decides this',
  },
  HF_MANAGER_REFUSED: {
    status: 409,
    retryable: false,
    title: 'What leads the group was not asked, or did not want to',
  },
  HF_MANAGER_UNCERTAIN: { status: 504, retryable: false, title: 'What leads the group was asked, and may still do it' },
  HF_MANAGER_UNREACHABLE: { status: 503, retryable: true, title: 'Nobody of what leads the group answers' },
  HF_METHOD_WRONG: { status: 405, retryable: false, title: 'The path exists, the method does not fit' },
  HF_OIDC_FAILED: { status: 502, retryable: true, title: 'The identity provider did not do what it should' },
  HF_PATH_UNKNOWN: { status: 404, retryable: false, title: 'There is nothing at this path' },
  HF_PLAN_BUSY: { status: 409, retryable: true, title: 'Another plan moves this service' },
  HF_PLAN_CHANGED: {
    status: 409,
    retryable: false,
    title: 'The plan is no longer the one that was shown or agreed to',
  },
  HF_PLAN_REFUSED: { status: 409, retryable: false, title: 'The service cannot be moved like that' },
  HF_PLAN_STOPPED: { status: 500, retryable: false, title: 'A plan stopped and needs a person' },
  HF_PLAN_UNDONE: { status: 409, retryable: false, title: 'A plan was taken back; all is as it was before' },
  HF_RELAY_MISSING: { status: 500, retryable: false, title: 'The program that is to relay is missing or does not fit' },
  HF_RESTART_REFUSED: { status: 409, retryable: true, title: 'The engine of this member is not restarted now' },
  HF_SECRET_FILE_OPEN: { status: 500, retryable: false, title: 'A secret file can be read by others' },
  HF_SECRET_MISSING: { status: 500, retryable: false, title: 'A secret was needed that is not there' },
  HF_SERVICE_UNKNOWN: { status: 404, retryable: false, title: 'No such service is described' },
  HF_SIGNING_KEY_UNUSABLE: { status: 500, retryable: false, title: 'A file that should hold a signing key does not' },
  HF_STORE_ADDRESS_UNUSABLE: { status: 500, retryable: true, title: 'The store cannot listen on its address' },
  HF_STORE_FILE_DAMAGED: { status: 500, retryable: false, title: 'The file of the store is damaged' },
  HF_STORE_FILE_FOREIGN: { status: 500, retryable: false, title: 'The file of the store belongs to something else' },
  HF_STORE_FILE_IN_USE: { status: 409, retryable: true, title: 'Another process serves the file of the store' },
  HF_STORE_FILE_UNUSABLE: { status: 500, retryable: true, title: 'The file of the store cannot be opened' },
  HF_STORE_NEEDS_TOKEN: {
    retryable: false,
    status: 400,
    title: 'The store would be open to the network without a token',
  },
  HF_STORE_NONSENSE: { status: 502, retryable: false, title: 'The store holds something that is no record' },
  HF_STORE_SETTINGS_INVALID: { status: 400, retryable: false, title: 'The settings of the store have mistakes' },
  HF_STORE_UNREACHABLE: { status: 503, retryable: true, title: 'The store did not answer in time' },
  HF_THING_UNKNOWN: { status: 404, retryable: false, title: 'No such user, token, incident or request is known' },
  HF_TOO_MANY_TRIES: { status: 429, retryable: true, title: 'Too many tries to log in' },
  HF_USER_EXISTS: { status: 409, retryable: false, title: 'The account exists already' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** Thrown for what is not an expected outcome. `message` says what happened, `next` what to do about it. */
export class HoldfastError extends Error {
  readonly code: ErrorCode
  readonly next: string
  constructor(code: ErrorCode, message: string, next: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'HoldfastError'
    this.code = code
    this.next = next
  }
}

/** The routes of drills, their evidence, and the lever that stops all faults. */
import { emptyBody, groupParams, idParams, okSchema } from './actions.ts'
import * as drills from './drills.ts'
import type { ApiRoute } from './route.ts'

const read = { method: 'GET', needs: 'read' } as const
const operate = { method: 'POST', needs: 'operate' } as const

export const DRILL_ROUTES = {
  drills: {
    ...read,
    path: '/drills',
    summary: 'The drills of the description, what runs, what waits, when each is due',
    answer: drills.drillsSchema,
  },
  drillScores: {
    ...read,
    path: '/drills/scores',
    summary: 'What the proof of each group and service is worth today',
    answer: drills.drillScoresSchema,
  },
  startDrill: {
    ...operate,
    path: '/groups/:group/drills',
    summary: 'Run a drill of this group, now or once it is approved',
    params: groupParams,
    body: drills.startDrillBody,
    answer: drills.drillOrderSchema,
  },
  drillDay: {
    ...operate,
    path: '/drills/days',
    summary: 'A game day: several drills one after the other, once somebody else approved them',
    body: drills.drillDayBody,
    answer: drills.drillOrderSchema,
  },
  approveDrills: {
    method: 'POST',
    needs: 'session',
    path: '/drills/orders/:id/approve',
    summary: 'Let what waits be run; needs the right to approve over its groups, and is refused to who asked',
    params: idParams,
    body: emptyBody,
    answer: drills.drillOrderSchema,
  },
  rejectDrills: {
    method: 'POST',
    needs: 'session',
    path: '/drills/orders/:id/reject',
    summary: 'Do not run it; also for who asked for it',
    params: idParams,
    body: emptyBody,
    answer: drills.drillOrderSchema,
  },
  approveDrillGate: {
    method: 'POST',
    needs: 'approve',
    path: '/groups/:group/drills/approve',
    summary: 'Say yes to the drill that waits, as somebody its file names; only to the run and the gate looked at',
    params: groupParams,
    body: drills.gateBody,
    answer: okSchema,
  },
  abortDrill: {
    ...operate,
    path: '/groups/:group/drills/abort',
    summary: 'Stop the drill of this group and end its fault, whoever runs it',
    params: groupParams,
    body: drills.abortDrillBody,
    answer: drills.abortAnswer,
  },
  faults: {
    ...operate,
    method: 'GET',
    path: '/faults',
    summary: 'Asks every agent which fault is on',
    answer: drills.faultsSchema,
  },
  stopFaults: {
    ...operate,
    path: '/faults/stop',
    summary: 'Stop every drill, run none that waits, end every fault, and ask each agent whether one is left',
    body: drills.abortDrillBody,
    answer: drills.faultsSchema,
  },
  drillReports: {
    ...read,
    path: '/drills/reports',
    summary: 'Reports, newest first',
    query: drills.reportsQuery,
    answer: drills.reportLineSchema.array(),
  },
  drillReport: {
    ...read,
    path: '/drills/reports/:id',
    summary: 'One report',
    params: idParams,
    answer: drills.reportSchema,
  },
  verifyDrillReport: {
    ...read,
    path: '/drills/reports/:id/verify',
    summary: 'Checks signature, page, and the reports before and after it',
    params: idParams,
    answer: drills.reportVerdictSchema,
  },
  drillReportFile: {
    ...read,
    path: '/drills/reports/:id/files/:kind',
    summary: 'The signed document, its page, or the page as PDF with its seal; `holdfast evidence verify` reads them',
    params: drills.reportFileParams,
    answer: 'file',
  },
} as const satisfies Record<string, ApiRoute>

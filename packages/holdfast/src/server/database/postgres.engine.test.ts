/** The same suite on a real PostgreSQL. */
import { after, before, describe } from 'node:test'
import pg from 'pg'
import { Cluster, embedded18, makeDirectory, PASSWORD, removeDirectory } from '../../engines/postgres/test-cluster.ts'
import { databaseSuite } from './suite.fixture.ts'

const root = makeDirectory()
const cluster = new Cluster(embedded18(), root, 'server-db')
let count = 0

describe('the server on PostgreSQL', () => {
  before(async () => {
    await cluster.create()
    await cluster.start()
  })
  after(async () => {
    await cluster.stop()
    removeDirectory(root)
  })

  databaseSuite(async () => {
    count += 1
    const name = `server_${count}`
    const at = (database: string) =>
      `postgres://super:${encodeURIComponent(PASSWORD)}@127.0.0.1:${cluster.port}/${database}`
    const client = new pg.Client({ connectionString: at('postgres') })
    await client.connect()
    await client.query(`create database ${name}`)
    await client.end()
    return { dir: root, url: at(name) }
  })
})

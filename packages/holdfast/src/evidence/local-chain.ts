/**
 * The chain of a folder that no store stands behind (practice on a copy): one small file a report, made whole and only
 * if it is not there, so that two who end in the same moment cannot both be next.
 */
import { link, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { readFileLimited, syncDirectory, writeFileDurable } from '../io/files.ts'
import { freshId } from '../io/random.ts'
import type { Chain, ChainEnd } from './folder.ts'

const LINK = /^(\d+)\.link$/

export function localChain(folder: string): Chain {
  const end = async (): Promise<ChainEnd | null> => {
    const seqs = (await readdir(folder)).flatMap((name) => LINK.exec(name)?.[1] ?? []).map(Number)
    if (seqs.length === 0) return null
    const seq = Math.max(...seqs)
    return { seq, sha256: (await readFileLimited(join(folder, `${seq}.link`), 1_024)).toString('utf8').trim() }
  }
  return {
    end,
    extend: async (from, to) => {
      if ((await end())?.sha256 !== from?.sha256) return false
      const unfinished = join(folder, `.${freshId()}.tmp`)
      await writeFileDurable(unfinished, `${to.sha256}\n`, 0o640)
      try {
        await link(unfinished, join(folder, `${to.seq}.link`))
        await syncDirectory(folder)
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
        throw error
      } finally {
        await unlink(unfinished)
      }
    },
  }
}

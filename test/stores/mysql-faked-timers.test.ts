import { beforeAll } from 'vitest'
import { answersUnderFakes } from '../adapters/faking-tools.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { openStore } from './mysql-subject.ts'

onEachServer('MySQLStore', ({ server }) => {
  let url: string

  beforeAll(async () => {
    url = await freshDatabase(server)
  })

  answersUnderFakes(() => openStore(url))
})

// Every entry of the package, as an ES module loads it.
import * as coatcheck from 'coatcheck'
import * as express from 'coatcheck/express'
import * as cors from 'coatcheck/cors'
import * as csrf from 'coatcheck/csrf'
import * as expressMySQLSession from 'coatcheck/express-mysql-session'
import * as handoff from 'coatcheck/handoff'
import * as mysql from 'coatcheck/mysql'
import * as open from 'coatcheck/open'
import * as postgresql from 'coatcheck/postgresql'
import * as redis from 'coatcheck/redis'
import * as sqlite from 'coatcheck/sqlite'
import * as testing from 'coatcheck/testing'

export default {
  coatcheck,
  'coatcheck/express': express,
  'coatcheck/cors': cors,
  'coatcheck/csrf': csrf,
  'coatcheck/express-mysql-session': expressMySQLSession,
  'coatcheck/handoff': handoff,
  'coatcheck/mysql': mysql,
  'coatcheck/open': open,
  'coatcheck/postgresql': postgresql,
  'coatcheck/redis': redis,
  'coatcheck/sqlite': sqlite,
  'coatcheck/testing': testing,
}

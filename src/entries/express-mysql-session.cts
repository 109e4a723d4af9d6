import adapter = require('../adapters/express-mysql-session.js')
import expressMySQLSession = adapter.expressMySQLSession
export = expressMySQLSession

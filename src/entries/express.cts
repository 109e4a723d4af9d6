import adapter = require('../adapters/express.js')
import session = adapter.session
export = session

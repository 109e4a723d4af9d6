import adapter = require('../adapters/cors.js')
import cors = adapter.cors
export = cors

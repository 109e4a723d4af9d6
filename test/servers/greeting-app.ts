// The smallest app that startApp() can run.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const greeting = process.env['GREETING']
if (greeting === undefined) throw new Error('GREETING is not set')

const server = createServer((request, response) => {
  response.end(`${greeting} from http://${request.headers.host}`)
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`)
})

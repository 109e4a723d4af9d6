// Checked by `npm run check`, never run: options that an environment gives.
import expressMySQLSession, { type MySQLStoreOptions } from 'coatcheck/express-mysql-session'
import session from 'coatcheck/express'

const host: string | undefined = process.env['DB_HOST']
export const options: MySQLStoreOptions = {
  host,
  port: Number(process.env['DB_PORT']),
  database: process.env['DB_NAME'],
}
export const makeStore = () =>
  new (expressMySQLSession(session))({ ...options, user: process.env['DB_USER'] })

import passport from 'passport04'
import { passportSideBySide } from './passport-sides.ts'

passportSideBySide(passport as never, 'at once', [
  [
    '302 connect.sid=#1 Found. Redirecting to /me',
    '200  [null,["Wrong password."],["cookie","messages","name"]]',
    '302 connect.sid=#1 ',
    '200  [{"name":"ada"},["Wrong password."],["cookie","messages","name","passport"]]',
    '200 connect.sid=#1 gone',
    '200  [null,["Wrong password."],["cookie","messages","name","passport"]]',
  ],
  '[null,["Wrong password."],["cookie","messages","name","passport"]]',
  1,
])

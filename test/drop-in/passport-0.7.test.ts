import passport from 'passport'
import { passportSideBySide } from './passport-sides.ts'

passportSideBySide(passport as never, 'by callback', [
  [
    '302 connect.sid=#1 Found. Redirecting to /me',
    '200  [null,["Wrong password."],["cookie","messages","name"]]',
    '302 connect.sid=#2 ',
    '200  [{"name":"ada"},null,["cookie","passport"]]',
    '200 connect.sid=#3 gone',
    '200  [null,null,["cookie"]]',
  ],
  '[null,null,["cookie"]]',
  1,
])

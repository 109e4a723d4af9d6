export {
  type CorsMiddleware,
  type CorsOptionsDelegate,
  type CorsOptionsFunction,
  type CorsResponse,
  cors as default,
} from '../adapters/cors.js'
export type {
  CorsOptions,
  CorsOrigin,
  CorsOriginCallback,
  CorsOriginFunction,
  CorsRequest,
} from '../http/cors.js'

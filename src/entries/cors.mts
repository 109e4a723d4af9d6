/**
 * Cross-origin answers: `cors(sessions)`, and the drop-in `cors(options)`.
 *
 * @module coatcheck/cors
 */

export {
  type CorsMiddleware,
  type CorsOptionsDelegate,
  type CorsOptionsFunction,
  type CorsResponse,
  cors as default,
} from '../adapters/cors.js'
export type { SiteCorsOptions } from '../http/site-cors.js'
export type {
  CorsOptions,
  CorsOrigin,
  CorsOriginCallback,
  CorsOriginFunction,
  CorsRequest,
} from '../http/cors.js'

import { EvaluationFailure } from './fault.js'
import { Uint } from './values.js'

/** @throws EvaluationFailure beyond 64 bits */
export function withinInt(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new EvaluationFailure('integer overflow')
  return value
}

/** @throws EvaluationFailure below zero and beyond 64 bits */
export function uint(value: bigint): Uint {
  if (BigInt.asUintN(64, value) !== value) throw new EvaluationFailure('unsigned integer overflow')
  return new Uint(value)
}

import { EvaluationFailure } from './fault.js'
import { define, ordered, type Definition } from './function.js'
import { addQuantities, compareQuantities, parseQuantity, Quantity } from './quantities.js'

const type = 'kubernetes.Quantity'

const negated = ({ digits, scale, long }: Quantity): Quantity => new Quantity(-digits, scale, long)
const whole = (value: bigint): Quantity => new Quantity(value, 0, false)

/** Kubernetes' library for quantities. */
export const quantityFunctions: readonly Definition[] = [
  define('quantity', ['string'], type, (text: string) => {
    const quantity = parseQuantity(text)
    if (quantity === undefined) throw new EvaluationFailure('invalid quantity')
    return quantity
  }),
  define('isQuantity', ['string'], 'bool', (text: string) => parseQuantity(text) !== undefined),
  define('sign', [type], 'int', signOf),
  ...ordered(type, compareQuantities),
  define('.isInteger', [type], 'bool', ({ integer }: Quantity) => integer !== undefined),
  define('.asInteger', [type], 'int', ({ integer }: Quantity) => {
    if (integer === undefined) throw new EvaluationFailure('cannot convert value to integer')
    return integer
  }),
  define('.asApproximateFloat', [type], 'double', ({ approximately }: Quantity) => approximately),
  define('.add', [type, type], type, addQuantities),
  define('.add', [type, 'int'], type, (one: Quantity, other: bigint) =>
    addQuantities(one, whole(other)),
  ),
  define('.sub', [type, type], type, (one: Quantity, other: Quantity) =>
    addQuantities(one, negated(other)),
  ),
  define('.sub', [type, 'int'], type, (one: Quantity, other: bigint) =>
    addQuantities(one, negated(whole(other))),
  ),
]

function signOf({ digits }: Quantity): bigint {
  if (digits === 0n) return 0n
  return digits < 0n ? -1n : 1n
}

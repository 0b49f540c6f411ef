/** True where a machine decides: whatever a person would be told there is a failure here. */
export function inCi(): boolean {
  const value = process.env.CI ?? ''
  return value !== '' && value !== 'false' && value !== '0'
}

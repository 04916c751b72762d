/** ESP SPIs as eight hex digits, the way `ip xfrm` and `swanctl` print them. */
export const hexSpi = (spi: number): string => spi.toString(16).padStart(8, '0');

/** Whole seconds, rounded down; null stays null. */
export const seconds = (ms: number | undefined): number | null => (ms === undefined ? null : Math.floor(ms / 1000));

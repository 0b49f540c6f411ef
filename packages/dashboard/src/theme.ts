/** Light, dark, or as the system says. Kept in this browser. */
export type Theme = 'system' | 'light' | 'dark'

const KEY = 'holdfast-theme'

export function storedTheme(): Theme {
  try {
    const kept = window.localStorage.getItem(KEY)
    return kept === 'light' || kept === 'dark' ? kept : 'system'
  } catch {
    return 'system'
  }
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  try {
    if (theme === 'system') window.localStorage.removeItem(KEY)
    else window.localStorage.setItem(KEY, theme)
  } catch {
    // A browser that keeps nothing still shows it until the page is closed.
  }
}

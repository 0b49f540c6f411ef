import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import './style/tokens.css'
import './style/frame.css'
import './style/parts.css'
import './style/screens.css'
import './style/canary.css'
import './style/drills.css'
import './style/plans.css'
import { applyTheme, storedTheme } from './theme.ts'

applyTheme(storedTheme())
const root = document.getElementById('screen')
if (root !== null) createRoot(root).render(<App />)

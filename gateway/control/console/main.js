// Starts the page: asks who is signed in, then shows the view that the address names.
import { html, render } from './preact.js';
import { App } from './app.js';
import { applyTheme } from './theme.js';

applyTheme();
render(html`<${App} />`, document.getElementById('root'));

// Preact with its hooks, and htm, which makes its templates: one door for all modules of ours.
import { h, render } from './vendor/preact.js';
import htm from './vendor/htm.js';

export { useCallback, useEffect, useMemo, useRef, useState } from './vendor/preact-hooks.js';
export { render };
export const html = htm.bind(h);

/** The path that the dashboard lives under, ending in a slash. The server writes it into the page. */
export const BASE = document.documentElement.dataset.base ?? '/';

/** The address of the API's `path`, which begins with a slash: `/runs/42/logs/download`. */
export const apiUrl = (path: string): string => `${BASE}api/v1${path}`;

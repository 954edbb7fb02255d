import auth from './auth.json';
import common from './common.json';
import dashboard from './dashboard.json';
import editor from './editor.json';
import flows from './flows.json';
import logs from './logs.json';
import runs from './runs.json';

export const catalogue = { auth, common, dashboard, editor, flows, logs, runs };

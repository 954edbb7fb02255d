import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';

import { meQuery, queryClient } from '@/api/queries';
import { BASE } from '@/lib/base';
import { oneOf, text, whole } from '@/lib/search';
import { WINDOWS, type Window } from '@/features/dashboard/api';
import { LEVELS, type LogFilters } from '@/features/logs/api';
import type { RunFilters } from '@/features/runs/explorer-api';
import { runSearch } from '@/features/runs/search';
import { DashboardPage } from '@/features/dashboard/DashboardPage';

import { Crash } from './Crash';
import { NotFound } from './NotFound';
import { Shell } from './Shell';

const rootRoute = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: Crash });

const setupRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: 'setup',
  component: lazyRouteComponent(() => import('@/features/auth/SetupPage'), 'SetupPage'),
});

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: 'login',
  validateSearch: (search): { next?: string } => ({ next: text(search.next) }),
  component: lazyRouteComponent(() => import('@/features/auth/LoginPage'), 'LoginPage'),
});

const FLOW_STATES = ['active', 'failing', 'finished', 'paused', 'draft'] as const;

interface FlowFilters {
  tab?: (typeof FLOW_STATES)[number];
  q?: string;
  label?: string;
}

/** Everything within the frame needs somebody who is signed in. */
const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: 'shell',
  component: Shell,
  beforeLoad: async ({ location }) => {
    const me = await queryClient.ensureQueryData(meQuery).catch(() => undefined);
    if (me === null) throw redirect({ to: '/login', search: { next: location.href === '/' ? undefined : location.href } });
  },
});

const dashboardRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/',
  validateSearch: (search): { window?: Window } => ({ window: oneOf(search.window, WINDOWS) }),
  component: DashboardPage,
});

const flowsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'flows',
  validateSearch: (search): FlowFilters => ({
    tab: oneOf(search.tab, FLOW_STATES),
    q: text(search.q),
    label: text(search.label),
  }),
  component: lazyRouteComponent(() => import('@/features/flows/FlowsPage'), 'FlowsPage'),
});

const flowPage = lazyRouteComponent(() => import('@/features/flows/FlowPage'), 'FlowPage');

const flowRoute = createRoute({ getParentRoute: () => shellRoute, path: 'flows/$slug', component: flowPage });

const flowTabRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'flows/$slug/$tab',
  validateSearch: (search): { a?: number; b?: number } => ({ a: whole(search.a), b: whole(search.b) }),
  component: flowPage,
});

const editorPage = lazyRouteComponent(() => import('@/features/editor/EditorPage'), 'EditorPage');
const editorSearch = (search: Record<string, unknown>): { step?: string } => ({ step: text(search.step) });

const newFlowRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'flows/new',
  validateSearch: editorSearch,
  component: editorPage,
});

const editRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'flows/$slug/edit',
  validateSearch: editorSearch,
  component: editorPage,
});

const runsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'runs',
  validateSearch: (search): RunFilters => ({
    flow: text(search.flow),
    status: text(search.status),
    trigger: text(search.trigger),
    q: text(search.q),
    from: text(search.from),
    to: text(search.to),
  }),
  component: lazyRouteComponent(() => import('@/features/runs/RunsPage'), 'RunsPage'),
});

const runRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'runs/$id',
  validateSearch: runSearch,
  component: lazyRouteComponent(() => import('@/features/runs/RunPage'), 'RunPage'),
});

const logsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: 'logs',
  validateSearch: (search): LogFilters => ({
    q: text(search.q),
    level: oneOf(search.level, LEVELS),
    flow: text(search.flow),
    step: text(search.step),
    from: text(search.from),
    to: text(search.to),
  }),
  component: lazyRouteComponent(() => import('@/features/logs/LogsPage'), 'LogsPage'),
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([setupRoute, loginRoute, shellRoute.addChildren([dashboardRoute, flowsRoute, flowRoute, flowTabRoute, newFlowRoute, editRoute, runsRoute, runRoute, logsRoute])]),
  basepath: BASE,
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultNotFoundComponent: NotFound,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

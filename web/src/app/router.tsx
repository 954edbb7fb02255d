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
import { oneOf, text } from '@/lib/search';
import { WINDOWS, type Window } from '@/features/dashboard/api';
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

export const router = createRouter({
  routeTree: rootRoute.addChildren([setupRoute, loginRoute, shellRoute.addChildren([dashboardRoute])]),
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

import '@/styles/tokens.css';
import '@/styles/base.css';
import '@/styles/shell.css';

import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { meQuery, queryClient } from '@/api/queries';
import { Toasts } from '@/components/ui/toasts';
import { speak } from '@/i18n';
import { preferredLanguage } from '@/i18n/languages';
import { BASE } from '@/lib/base';
import { setZone } from '@/lib/format';

import { router } from './router';

// The one-time link is /#setup=KEY; its page is /setup, and the key stays behind the `#`.
if (location.hash.startsWith('#setup=') && !location.pathname.endsWith('/setup')) {
  history.replaceState(null, '', `${BASE}setup${location.hash}`);
}

async function start(): Promise<void> {
  const [me] = await Promise.all([
    queryClient.fetchQuery(meQuery).catch(() => undefined),
    speak(preferredLanguage()),
  ]);
  if (me?.user) setZone(me.user.timezone);
  const root = document.getElementById('root');
  if (root === null) return;
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
        <Toasts />
      </QueryClientProvider>
    </StrictMode>,
  );
}

void start();

import { createRootRoute, createRoute, createRouter, Navigate, redirect } from "@tanstack/react-router";
import { base } from "../api/client";
import { AccessPage } from "../pages/AccessPage";
import { ConnectionsPage } from "../pages/ConnectionsPage";
import { HealthPage } from "../pages/HealthPage";
import { InboxPage } from "../pages/InboxPage";
import { LocksPage } from "../pages/LocksPage";
import { PoliciesPage } from "../pages/PoliciesPage";
import { SessionPage } from "../pages/SessionPage";
import { SessionsPage } from "../pages/SessionsPage";
import { WaitingPage } from "../pages/WaitingPage";
import { NotHere, Trouble } from "../parts/Trouble";
import { accessSearch, inboxSearch, policiesSearch, sessionSearch, sessionsSearch, signInSearch } from "./routes";
import { Shell } from "./Shell";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotHere,
  errorComponent: ({ error, reset }) => <Trouble error={error} retry={reset} />,
});
const getParentRoute = () => root;

const home = createRoute({
  getParentRoute,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/inbox", replace: true });
  },
});
const inbox = createRoute({ getParentRoute, path: "/inbox", component: InboxPage, validateSearch: inboxSearch });
const waiting = createRoute({ getParentRoute, path: "/approvals/$id", component: WaitingPage });
const sessions = createRoute({
  getParentRoute,
  path: "/sessions",
  component: SessionsPage,
  validateSearch: sessionsSearch,
});
const session = createRoute({
  getParentRoute,
  path: "/sessions/$id",
  component: SessionPage,
  validateSearch: sessionSearch,
});
const connections = createRoute({ getParentRoute, path: "/connections", component: ConnectionsPage });
const access = createRoute({ getParentRoute, path: "/access", component: AccessPage, validateSearch: accessSearch });
const policies = createRoute({
  getParentRoute,
  path: "/policies",
  component: PoliciesPage,
  validateSearch: policiesSearch,
});
const health = createRoute({ getParentRoute, path: "/health", component: HealthPage });

// The shell shows it in place of everything; whoever comes here signed in and without a problem goes on.
const signIn = createRoute({
  getParentRoute,
  path: "/sign-in",
  validateSearch: signInSearch,
  component: () => <Navigate to="/inbox" replace />,
});

const locks = createRoute({ getParentRoute, path: "/locks", component: LocksPage });

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    inbox,
    waiting,
    sessions,
    session,
    connections,
    access,
    policies,
    locks,
    health,
    signIn,
  ]),
  basepath: base,
  scrollRestoration: false,
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

import { ActionIcon, Menu, Tooltip, useMantineColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { post } from "../api/client";
import { pollEvery, useLive } from "../api/live";
import { approvals } from "../api/queries";
import type { Whoami } from "../api/types";
import { personName } from "../lib/words";
import { Icon, type IconName } from "../parts/Icon";
import { Visible } from "../parts/Visible";

interface Place {
  to: "/inbox" | "/sessions" | "/connections" | "/access" | "/policies" | "/locks" | "/health";
  label: string;
  icon: IconName;
  key: string;
}

export const PLACES: Place[] = [
  { to: "/inbox", label: "Inbox", icon: "inbox", key: "i" },
  { to: "/sessions", label: "Sessions", icon: "sessions", key: "s" },
  { to: "/connections", label: "Connections", icon: "connections", key: "c" },
  { to: "/access", label: "Access", icon: "key", key: "a" },
  { to: "/policies", label: "Policies", icon: "policies", key: "p" },
  { to: "/locks", label: "Locks", icon: "lock", key: "l" },
  { to: "/health", label: "Health", icon: "health", key: "h" },
];

const LIVE = {
  live: "Live: changes show at once",
  polling: "Asks for changes every few seconds",
  lost: "The gateway does not answer",
};

const SHORT = { live: "live", polling: "asks every 4 s", lost: "no answer" };

/** Where one can go, who one is, and whether what is shown is of now. */
export function Nav({ me, onHelp }: { me: Whoami | undefined; onHelp: () => void }) {
  const waiting = useWaiting(me !== undefined);
  const live = useLive();
  return (
    <nav className="nav" aria-label="Pages">
      <div className="brand">
        <Icon name="mark" />
        <span>Keyward</span>
      </div>
      <div className="places">
        {PLACES.map(({ to, label, icon, key }) => (
          <Link
            key={to}
            to={to}
            className="place"
            activeProps={{ "aria-current": "page" }}
            activeOptions={{ includeSearch: false }}
          >
            <Icon name={icon} />
            <span>{label}</span>
            {to === "/inbox" && waiting > 0 ? (
              <span className="count">
                {waiting}
                <span className="unseen"> to decide</span>
              </span>
            ) : (
              <kbd>g {key}</kbd>
            )}
          </Link>
        ))}
      </div>
      <div className="foot">
        <p className="live" data-state={live} role="status">
          <i aria-hidden="true" />
          <span title={LIVE[live]}>{SHORT[live]}</span>
          <span className="unseen">{LIVE[live]}</span>
        </p>
        <Me me={me} onHelp={onHelp} />
      </div>
    </nav>
  );
}

function Me({ me, onHelp }: { me: Whoami | undefined; onHelp: () => void }) {
  const scheme = useMantineColorScheme();
  const name = me ? personName(me.principal) : "";
  return (
    <div className="me">
      <div className="who" title={me ? `${me.principal.issuer}#${me.principal.subject}` : undefined}>
        <Visible text={name} />
        {me && me.roles.length > 0 && <small>{me.roles.join(", ")}</small>}
      </div>
      <Menu position="top-end" width={210}>
        <Menu.Target>
          <Tooltip label="Appearance, keys, sign out">
            <ActionIcon variant="subtle" color="gray" aria-label="Menu: appearance, keys, sign out">
              <Icon name="more" />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Appearance</Menu.Label>
          {(["auto", "light", "dark"] as const).map((each) => (
            <Menu.Item
              key={each}
              onClick={() => scheme.setColorScheme(each)}
              rightSection={scheme.colorScheme === each ? <Icon name="check" /> : null}
            >
              {each === "auto" ? "Like the system" : each === "light" ? "Light" : "Dark"}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={onHelp} rightSection={<kbd>?</kbd>}>
            Keys
          </Menu.Item>
          {me?.csrf && <Menu.Item onClick={signOut}>Sign out</Menu.Item>}
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

async function signOut() {
  try {
    await post("auth/logout", {});
  } finally {
    window.location.reload();
  }
}

/** How many calls wait for the caller; in the title too, for whoever has the page in another tab. */
function useWaiting(enabled: boolean): number {
  const list = useQuery({ ...approvals("team", "pending"), enabled, refetchInterval: pollEvery });
  const waiting = list.data?.approvals.filter((row) => row.may_i_decide).length ?? 0;
  useEffect(() => {
    document.title = waiting > 0 ? `(${waiting}) Keyward` : "Keyward";
  }, [waiting]);
  return waiting;
}

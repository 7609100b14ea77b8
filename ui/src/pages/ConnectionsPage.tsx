import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { connections } from "../api/queries";
import type { ConnectionView } from "../api/types";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Icon } from "../parts/Icon";
import { Page } from "../parts/Page";
import { Snippet } from "../parts/Snippet";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Approver } from "../review/Facts";
import { Fact } from "../review/Operation";
import { snippets } from "./snippets";

const CONFIG = `connections:
  - name: openai
    kind: openai
    upstream: https://api.openai.com
    credential: {secret: keyward://openai, inject: bearer}`;

/** Where calls may go, and how a client is pointed there. */
export function ConnectionsPage() {
  const { data, error, refetch } = useQuery(connections);
  const list = data?.connections;
  return (
    <Page title="Connections">
      {error && !data ? (
        <Trouble error={error} retry={() => refetch()} />
      ) : !list ? (
        <Bones />
      ) : list.length === 0 ? (
        <Empty icon="connections" title="No connection yet" snippet={CONFIG}>
          <p>
            A connection is a model server or an API, with the secret that Keyward puts on its calls. In keyward.yaml:
          </p>
        </Empty>
      ) : (
        <>
          <p className="lead">
            A client keeps its library; two values change: the base URL, and the key, which is your own token. The
            secret named here never leaves Keyward.
          </p>
          <ul className="cards">
            {list.map((each) => (
              <li key={each.name}>
                <Card connection={each} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Page>
  );
}

function Card({ connection }: { connection: ConnectionView }) {
  const examples = snippets(connection);
  return (
    <article className="card" aria-label={connection.name}>
      <h2>
        <Visible text={connection.name} /> <span className="chip">{connection.kind}</span>
      </h2>
      <dl className="facts">
        <Fact name="Leads to">
          <code>
            <Visible text={connection.upstream} />
          </code>
        </Fact>
        <Fact name="Reached at">
          <code>
            <Visible text={[connection.path, ...connection.hosts].join(", ")} />
          </code>
        </Fact>
        <Fact name="Credential">
          {connection.credential ? (
            <span className="chip">
              <Icon name="key" />
              <code>
                <Visible text={connection.credential.reference} />
              </code>
            </span>
          ) : (
            <span className="muted">none: an open endpoint</span>
          )}
        </Fact>
        {connection.credential && (
          <Fact name="Put on each call as">
            <code>
              {connection.credential.header}
              {connection.credential.form === "bearer" ? ": Bearer …" : ": …"}
            </code>
          </Fact>
        )}
        {Object.keys(connection.tags).length > 0 && (
          <Fact name="Tags">
            <span className="chips">
              {Object.entries(connection.tags).map(([name, value]) => (
                <span key={name} className="chip">
                  <Visible text={`${name}: ${value}`} />
                </span>
              ))}
            </span>
          </Fact>
        )}
        {connection.owners.length > 0 && (
          <Fact name="Owned by">
            <span className="chips">
              {connection.owners.map((owner) => (
                <Approver key={owner} who={owner} />
              ))}
            </span>
          </Fact>
        )}
      </dl>
      <Tabs defaultValue={examples[0]?.name} variant="default" keepMounted={false}>
        <Tabs.List aria-label={`Clients of ${connection.name}`}>
          {examples.map(({ name }) => (
            <Tabs.Tab key={name} value={name}>
              {name}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {examples.map(({ name, text }) => (
          <Tabs.Panel key={name} value={name}>
            <Snippet text={text} label={`${name} for ${connection.name}`} />
          </Tabs.Panel>
        ))}
      </Tabs>
    </article>
  );
}

import { Modal, Switch } from "@mantine/core";
import { keysOn, switchKeys, useScopes } from "./keys";

/** Every key that works here. */
export function KeysDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const scopes = useScopes();
  return (
    <Modal opened={opened} onClose={onClose} title="Keys" size="md" closeButtonProps={{ "aria-label": "Close" }}>
      <div className="keys">
        {[...scopes].reverse().map((scope, index) => (
          <section key={`${scope.name}${index}`}>
            <h3>{scope.name}</h3>
            <dl>
              {scope.keys.map(({ keys, label }) => (
                <div key={keys}>
                  <dt>
                    {keys.split(" ").map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <Switch
          checked={keysOn()}
          onChange={(event) => switchKeys(event.currentTarget.checked)}
          label="Single keys work"
          description="Off for speech input, or where they are in the way; ? stays."
        />
      </div>
    </Modal>
  );
}

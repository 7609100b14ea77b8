import { Button, createTheme, Modal, SegmentedControl, Textarea, TextInput, Tooltip } from "@mantine/core";

// Colours are in styles/tokens.css; a palette here only gives the name that components look their variables up by.
const named = (value: string) => [value, value, value, value, value, value, value, value, value, value] as const;

export const theme = createTheme({
  primaryColor: "ward",
  colors: { ward: named("var(--k-accent)"), deny: named("var(--k-bad)") },
  cursorType: "pointer",
  components: {
    Button: Button.extend({ defaultProps: { size: "sm" } }),
    TextInput: TextInput.extend({ defaultProps: { size: "sm" } }),
    Textarea: Textarea.extend({ defaultProps: { size: "sm" } }),
    SegmentedControl: SegmentedControl.extend({ defaultProps: { size: "sm" } }),
    // Locking the scroll would need a style element, see main.tsx; dialogs lie over everything anyway.
    Modal: Modal.extend({ defaultProps: { lockScroll: false, centered: true, transitionProps: { duration: 120 } } }),
    Tooltip: Tooltip.extend({
      defaultProps: { openDelay: 350, withArrow: true, events: { hover: true, focus: true, touch: true } },
    }),
  },
});

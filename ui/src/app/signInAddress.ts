import { address, base } from "../api/client";

/** Where one signs in and comes back here from; `fresh` asks the provider for a new proof, as decisions need one. */
export function signInAddress(fresh = false): string {
  return loginAddress(window.location.pathname.slice(base.length - 1) + window.location.search, fresh);
}

/** The same, for another place of the interface. */
export function loginAddress(next: string, fresh = false): string {
  return address("auth/login", { next, fresh });
}

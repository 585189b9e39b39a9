// What pages of consent-middleware offer to scripts. `consent-middleware types` writes this file with the ids of a
// site's own declaration in place of the two `string`s.

declare namespace ConsentMiddleware {
  type Category = string;
  type Service = string;
  type Unit = Category | Service;

  /** `window.consent`. The first three answer from the head on, the others once `consent:ready` is out. */
  interface Consent {
    /** Whether the visitor allows a category now: true only while all of its services are allowed. */
    acceptedCategory(id: Category): boolean;
    /** Whether the visitor allows a service now, or, like `acceptedCategory`, a category. */
    acceptedService(id: Unit): boolean;
    /** Whether the visitor has answered. */
    validConsent(): boolean;
    /**
     * Makes a choice: exactly these categories, "all", or none (`[]`).
     * @returns whether it was recorded; false: nothing has changed
     */
    acceptCategory(ids: "all" | Category | readonly Category[]): Promise<boolean>;
    /** Allows these services beside what is allowed already. @returns as `acceptCategory` */
    acceptService(ids: Service | readonly Service[]): Promise<boolean>;
    /** Opens the preferences. */
    showPreferences(): Promise<unknown>;
    /** What holds now. */
    getUserPreferences(): Preferences;
  }

  interface Preferences {
    acceptType: "all" | "custom" | "necessary";
    acceptedCategories: Category[];
    rejectedCategories: Category[];
    acceptedServices: Service[];
    rejectedServices: Service[];
  }

  /** The `detail` of the events on `document`: every category and service that is allowed now. */
  interface Detail {
    granted: Unit[];
  }

  /** `state.json`, as the server sees the visitor; nothing in it identifies anybody. */
  interface State {
    regime: "opt-in" | "opt-out" | "none";
    /** ISO 3166, empty where unknown. */
    region: string;
    answered: boolean;
    /** Whether the banner asks. */
    prompt: boolean;
    categories: Record<Category, boolean>;
    services: Record<Service, boolean>;
    granted: Unit[];
    /** Why each is allowed or not. */
    reasons: Record<Unit, string>;
    signals: { gpc: boolean; dnt: boolean };
    notices: string[];
    /** What the page tells the visitor beside the settings link. */
    status: string;
    mode: number;
    link: string;
    fingerprint: string;
    /** Only in the answer to a withdrawal: the way to the visitor's history. */
    receipt?: string;
  }
}

interface Window {
  readonly consent: ConsentMiddleware.Consent;
}

interface DocumentEventMap {
  /** Once a page: everything in `window.consent` is there. */
  "consent:ready": CustomEvent<ConsentMiddleware.Detail>;
  /** The visitor's first answer. */
  "consent:first": CustomEvent<ConsentMiddleware.Detail>;
  /** Every answer, and a change that another tab made. */
  "consent:change": CustomEvent<ConsentMiddleware.Detail>;
}

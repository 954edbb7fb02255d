/** Texts that were not published yet, kept in this browser: they outlive the tab, the connection and the server. */
export interface Draft {
  source: string;
  /** The flow's revision that the text began from; 0 for a flow that is new. */
  revision: number;
  at: number;
}

const NAME = 'monjolo-drafts';
const STORE = 'drafts';

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('no storage'));
  });
}

let before: Promise<unknown> = Promise.resolve();

/** One after another: who comes back to a page reads what was kept when it was left. */
function ask<Given>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<Given> {
  const asked = before.then(() => askNow<Given>(mode, act));
  before = asked.catch(() => undefined);
  return asked;
}

async function askNow<Given>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<Given> {
  const database = await open();
  try {
    return await new Promise<Given>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: 'strict' });
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result as Given);
      transaction.onabort = () => reject(transaction.error ?? new Error('not stored'));
    });
  } finally {
    database.close();
  }
}

export const drafts = {
  get: (key: string): Promise<Draft | undefined> => ask('readonly', (store) => store.get(key)),
  put: (key: string, draft: Draft): Promise<unknown> => ask('readwrite', (store) => store.put(draft, key)),
  drop: (key: string): Promise<unknown> => ask('readwrite', (store) => store.delete(key)),
};

/** Addresses of pages of other features, which do not know each other. */
export const link = {
  flow: (slug: string): string => `/flows/${encodeURIComponent(slug)}`,
  run: (id: string): string => `/runs/${id}`,
};
